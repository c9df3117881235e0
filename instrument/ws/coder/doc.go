package coder
