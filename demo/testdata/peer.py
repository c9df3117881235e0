"""A chat client that shares no code with the server: it prints one line for each thing that it has seen."""

import asyncio
import json
import sys
import uuid
from datetime import datetime, timezone

import websockets

URL, TOKEN = sys.argv[1], sys.argv[2]
PATIENCE = 20


def frame(kind, payload=None):
    envelope = {"type": kind, "timestamp": datetime.now(timezone.utc).isoformat(), "messageId": str(uuid.uuid4())}
    if payload is not None:
        envelope["payload"] = payload
    return envelope


async def send(ws, kind, payload=None):
    envelope = frame(kind, payload)
    await ws.send(json.dumps(envelope))
    return envelope["messageId"]


async def expect(ws, kind):
    while True:
        envelope = json.loads(await asyncio.wait_for(ws.recv(), PATIENCE))
        if envelope["type"] == kind:
            return envelope


def connect(**more):
    return websockets.connect(URL, extra_headers={"Authorization": "Bearer " + TOKEN}, **more)


async def chat():
    async with connect(subprotocols=["sockscope.json"]) as ws:
        welcome = await expect(ws, "welcome")
        print("welcome", welcome["payload"]["user"], "by", ws.subprotocol)
        print("extensions", *(e.name for e in ws.extensions))
        await send(ws, "join", {"room": "lobby"})
        await expect(ws, "ack")
        text = "grüß dich " * 200
        sent = await send(ws, "message", {"room": "lobby", "text": text})
        ack = await expect(ws, "ack")
        print("ack", ack["messageId"] == sent, ack["payload"]["success"], ack["payload"]["seq"])
        message = await expect(ws, "message")
        print("message", message["payload"]["from"], message["payload"]["text"] == text, message["seq"])
        answer = await expect(ws, "message")
        print("answer", answer["payload"]["from"], answer["payload"]["text"])
        await asyncio.wait_for(await ws.ping(), PATIENCE)
        print("pong")


async def subprotocol():
    async with websockets.connect(URL, subprotocols=["bearer." + TOKEN, "sockscope.json"]) as ws:
        welcome = await expect(ws, "welcome")
        print("token by subprotocol", welcome["payload"]["user"], "selects", ws.subprotocol)


async def closed(what, ws):
    try:
        while True:
            await asyncio.wait_for(ws.recv(), PATIENCE)
    except websockets.exceptions.ConnectionClosed as e:
        print(what, e.rcvd.code if e.rcvd else None)


async def oversize():
    async with connect() as ws:
        await expect(ws, "welcome")
        try:
            await ws.send("x" * 200_000 if not ws.extensions else zlib_proof(200_000))
        except websockets.exceptions.ConnectionClosed:
            pass
        await closed("oversize", ws)


def zlib_proof(n):
    """Text that stays long when it is compressed."""
    return "".join("%x" % (i * 2654435761 % 2**32) for i in range(n // 8))


async def not_utf8():
    async with connect() as ws:
        await expect(ws, "welcome")
        await ws.write_frame(True, 1, b"\xff\xfe")
        await closed("not UTF-8", ws)


async def reserved_opcode():
    async with connect() as ws:
        await expect(ws, "welcome")
        ws.transport.write(bytes([0x83, 0x80, 0, 0, 0, 0]))  # a data frame of a kind that there is none of
        await closed("reserved opcode", ws)


async def refused():
    try:
        async with websockets.connect(URL, extra_headers={"Authorization": "Bearer x"}):
            print("let in without a token")
    except websockets.exceptions.InvalidStatusCode as e:
        print("refused", e.status_code)


async def leave():
    ws = await connect()
    await expect(ws, "welcome")
    await ws.close(1000, "bye")
    print("left", ws.close_code)


async def main():
    for step in (refused, subprotocol, oversize, not_utf8, reserved_opcode, leave, chat):
        await step()


asyncio.run(main())
