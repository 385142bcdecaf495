"use strict";
(() => {
  const root = document.documentElement;
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];

  // Language: both are in the page; the style sheet hides one, titles are swapped here.
  const speak = (code) => {
    root.lang = code;
    for (const element of all("[data-es]")) element.textContent = element.dataset[code];
    for (const element of all("[data-label-es]")) {
      element.setAttribute("aria-label", element.dataset[code === "es" ? "labelEs" : "labelEn"]);
    }
  };
  const asked = () => location.hash.slice(1);
  if (["en", "es"].includes(asked())) speak(asked());
  addEventListener("hashchange", () => ["en", "es"].includes(asked()) && speak(asked()));
  document.getElementById("switch").addEventListener("click", () => speak(root.lang === "es" ? "en" : "es"));

  // On paper everything is open.
  addEventListener("beforeprint", () => { for (const part of all("details")) part.open = true; });

  // Narrow spaces group digits for the eye; a copied number has none.
  document.addEventListener("copy", (event) => {
    const text = String(getSelection());
    if (!text.includes("\u202f")) return;
    event.clipboardData.setData("text/plain", text.replaceAll("\u202f", ""));
    event.preventDefault();
  });

  const picture = document.getElementById("picture");
  if (!picture) return;

  // Zoom: the picture fits its frame until told otherwise.
  const natural = picture.viewBox.baseVal.width;
  const zoom = (factor) => {
    const width = factor ? picture.getBoundingClientRect().width * factor : 0;
    if (width) picture.setAttribute("width", Math.min(Math.max(width, 300), natural * 6));
    else picture.removeAttribute("width");
    picture.classList.toggle("zoomed", Boolean(width));
  };
  document.getElementById("larger").addEventListener("click", () => zoom(1.4));
  document.getElementById("smaller").addEventListener("click", () => zoom(1 / 1.4));
  document.getElementById("fit").addEventListener("click", () => zoom(0));

  // Light up what leads to an element and what follows from it.
  const nodes = all(".n", picture);
  const ribbons = all(".r", picture).map((shape) => ({ shape, from: +shape.dataset.a, to: +shape.dataset.b }));
  const readout = document.getElementById("readout");
  const walk = (start, here, there) => {
    const seen = new Set([start]);
    for (const node of seen) for (const r of ribbons) if (r[here] === node) { r.shape.classList.add("on"); seen.add(r[there]); }
    return seen;
  };
  const light = (element) => {
    dark();
    const ribbon = ribbons.find((r) => r.shape === element);
    const node = nodes.indexOf(element);
    const seen = [...walk(ribbon ? ribbon.to : node, "from", "to"), ...walk(ribbon ? ribbon.from : node, "to", "from")];
    if (ribbon) ribbon.shape.classList.add("on");
    for (const n of seen) nodes[n].classList.add("on");
    picture.classList.add("lit");
    readout.textContent = element.querySelector("title").textContent.replaceAll("\n", " · ");
    readout.classList.add("says");
  };
  const dark = () => {
    picture.classList.remove("lit");
    for (const element of all(".on", picture)) element.classList.remove("on");
  };
  for (const element of [...nodes, ...ribbons.map((r) => r.shape)]) {
    element.addEventListener("pointerenter", () => light(element));
    element.addEventListener("pointerleave", dark);
    element.addEventListener("focus", () => light(element));
    element.addEventListener("blur", dark);
  }

  // Arrow keys go to the nearest bar in that direction; only one bar at a time is a tab stop.
  const middle = (node) => {
    const box = node.querySelector("rect").getBBox();
    return [box.x + box.width / 2, box.y + box.height / 2];
  };
  const ways = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] };
  picture.addEventListener("keydown", (event) => {
    const way = ways[event.key];
    const here = document.activeElement;
    if (!way || !nodes.includes(here)) return;
    event.preventDefault();
    const [x, y] = middle(here);
    let best = null;
    let least = Infinity;
    for (const node of nodes) {
      const [dx, dy] = [middle(node)[0] - x, middle(node)[1] - y];
      const along = dx * way[0] + dy * way[1];
      const far = along + 3 * Math.abs(dx * way[1] + dy * way[0]);
      if (along > 0.5 && far < least) [best, least] = [node, far];
    }
    if (!best) return;
    here.tabIndex = -1;
    best.tabIndex = 0;
    best.focus();
  });
})();
