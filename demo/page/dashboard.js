// What the node counts that this page is connected to.

import { byId } from "./element.js";

export class Dashboard {
  constructor(connection) {
    // If that fails, the numbers stay away.
    const subscribe = () => connection.request("subscribe", { stream: "dashboard" }).catch(() => {});
    connection.addEventListener("welcome", ({ detail }) => {
      byId("node").textContent = detail.node;
      subscribe();
    });
    connection.addEventListener("frame", ({ detail }) => detail.type === "dashboard" && show(detail.payload));
    connection.addEventListener("state", ({ detail }) =>
      byId("dashboard").classList.toggle("stale", detail.state !== "connected"),
    );
  }
}

function show({ node, connections, rooms, receivedPerSecond, sentPerSecond }) {
  byId("node").textContent = node;
  byId("connections").textContent = connections.toLocaleString("en");
  byId("room-count").textContent = rooms.toLocaleString("en");
  byId("received").textContent = rate(receivedPerSecond);
  byId("sent").textContent = rate(sentPerSecond);
}

function rate(n) {
  return n >= 100 ? Math.round(n).toLocaleString("en") : n.toFixed(1);
}
