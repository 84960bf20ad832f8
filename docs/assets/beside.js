// Where code stands beside the mathematics that it makes, it need not be folded away.
document.addEventListener("DOMContentLoaded", () => {
  if (!matchMedia("(min-width: 90em)").matches) return;
  for (const fold of document.querySelectorAll(".cell > details.code")) fold.open = true;
});
