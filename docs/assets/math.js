// Typeset what arithmatex marked, \(…\) and \[…\]. What is folded away waits until it is opened: a long chapter has
// a thousand formulas.
function typeset(root) {
  const waits = (formula) => formula.closest("details:not([open])");
  for (const formula of [...root.querySelectorAll(".arithmatex")]) {
    if (formula.querySelector(".katex, .katex-error") || waits(formula)) continue;
    const tex = formula.textContent.trim().slice(2, -2);
    // A formula that fails shows its source, and carries the class katex-error.
    katex.render(tex, formula, { displayMode: formula.tagName === "DIV", throwOnError: false });

    // A line may break after a formula, but not between a short one and its full stop.
    const after = formula.nextSibling;
    if (formula.tagName !== "SPAN" || after?.nodeType !== Node.TEXT_NODE || !/^[.,;:!?)]/.test(after.data)) continue;
    if (formula.querySelectorAll(".base").length > 3) continue;
    after.splitText(1);
    const joined = document.createElement("span");
    joined.className = "joined";
    formula.replaceWith(joined);
    joined.append(formula, after);
  }
}

document.addEventListener("DOMContentLoaded", () => {
  typeset(document.body);
  for (const fold of document.querySelectorAll("details")) fold.addEventListener("toggle", () => typeset(fold));
});
