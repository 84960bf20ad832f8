// On the page of the graph: what a claim rests on, lit while one points at it or moves to it by keyboard.
document.addEventListener("DOMContentLoaded", () => {
  for (const graph of document.querySelectorAll(".drawing, .arcs")) {
    const nodes = new Map([...graph.querySelectorAll("a[data-id]")].map((node) => [node.dataset.id, node]));
    const arrows = [...graph.querySelectorAll("path[data-from]")];

    const light = (id) => {
      const lit = new Set();
      for (const waiting = [id]; waiting.length; ) {
        const next = waiting.pop();
        if (lit.has(next) || !nodes.has(next)) continue;
        lit.add(next);
        waiting.push(...nodes.get(next).dataset.uses.split(" "));
      }
      graph.classList.add("choosing");
      for (const [other, node] of nodes) node.classList.toggle("lit", lit.has(other));
      for (const arrow of arrows) arrow.classList.toggle("lit", lit.has(arrow.dataset.to));
    };
    const rest = () => graph.classList.remove("choosing");

    for (const [id, node] of nodes) {
      node.addEventListener("pointerenter", () => light(id));
      node.addEventListener("pointerleave", rest);
      node.addEventListener("focus", () => light(id));
      node.addEventListener("blur", rest);
    }
  }
});
