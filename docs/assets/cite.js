// A button on every claim that copies its BibTeX entry. The particulars are those of CITATION.cff; a test compares them.
const CITATION = { author: "{The ddpm-ref authors}", title: "ddpm-ref", version: "0.1.0", year: "2026" };

function bibtex(id, title) {
  const online = /^https?:$/.test(location.protocol) && !/^(localhost|127\.)/.test(location.hostname);
  const fields = {
    author: CITATION.author,
    title: `{${title}}`,
    howpublished: `${CITATION.title} ${CITATION.version}, claim \\texttt{${id}}`,
    year: CITATION.year,
    ...(online && { url: `${location.origin}${location.pathname}#${id}` }),
  };
  const lines = Object.entries(fields).map(([name, value]) => `  ${name} = {${value}},`);
  return [`@misc{${CITATION.title}:${id},`, ...lines, "}", ""].join("\n");
}

// A page opened from disk may not have the clipboard's interface; selected text can be copied everywhere.
async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = Object.assign(document.createElement("textarea"), { value: text, ariaHidden: "true" });
    area.style.position = "fixed";
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
}

document.addEventListener("DOMContentLoaded", () => {
  for (const card of document.querySelectorAll(".claim")) {
    const id = card.querySelector("code")?.textContent;
    const heading = id && document.getElementById(id);
    if (!heading) continue;
    const title = heading.firstChild.textContent.trim();
    const button = Object.assign(document.createElement("button"), { className: "cite", type: "button" });
    button.textContent = "Cite";
    button.setAttribute("aria-label", `Copy a BibTeX entry for the claim ${id}`);
    button.addEventListener("click", async () => {
      await copy(bibtex(id, title));
      button.textContent = "BibTeX copied";
      setTimeout(() => (button.textContent = "Cite"), 2000);
    });
    card.querySelector("li").append(" · ", button);
  }
});
