// What the theme leaves out for those who use a keyboard or a screen reader.
function reachable(root) {
  // What scrolls by itself must be reached by Tab, or its end cannot be read. Measure first, then write: once.
  const boxes = [...root.querySelectorAll("pre > code, div.arithmatex, .md-typeset__scrollwrap")];
  const wide = boxes.filter((box) => box.scrollWidth > box.clientWidth || box.scrollHeight > box.clientHeight + 1);
  for (const box of wide) box.tabIndex = 0;
}

document.addEventListener("DOMContentLoaded", () => {
  document.querySelector(".md-search")?.setAttribute("aria-label", "Search");
  reachable(document);
  for (const fold of document.querySelectorAll("details")) fold.addEventListener("toggle", () => reachable(fold));
  // Widths change with the fonts, with what the theme puts around tables, and with the window.
  document.fonts.ready.then(() => reachable(document));
  for (const event of ["load", "resize"]) addEventListener(event, () => reachable(document));
});
