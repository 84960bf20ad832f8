// Typeset what arithmatex marked, \(…\) and \[…\], wherever it ended up: prose, headings, the table of contents.
document.addEventListener("DOMContentLoaded", () => {
  renderMathInElement(document.body, {
    delimiters: [
      { left: "\\(", right: "\\)", display: false },
      { left: "\\[", right: "\\]", display: true },
    ],
    throwOnError: false, // a formula that fails shows its source, and carries the class katex-error
  });

  // A line may break after a formula, but not between a short one and its full stop.
  for (const formula of document.querySelectorAll("span.arithmatex")) {
    const after = formula.nextSibling;
    if (after?.nodeType !== Node.TEXT_NODE || !/^[.,;:!?)]/.test(after.data)) continue;
    if (formula.querySelectorAll(".base").length > 3) continue;
    after.splitText(1);
    const joined = document.createElement("span");
    joined.className = "joined";
    formula.replaceWith(joined);
    joined.append(formula, after);
  }
});
