"use strict";
(() => {
  const compare = (a, b) => {
    if ("v" in a.dataset && "v" in b.dataset) {
      const [x, y] = [a.dataset.v, b.dataset.v].map((v) => (v === "inf" ? Infinity : Number(v)));
      return x === y ? 0 : x - y;
    }
    return a.textContent.localeCompare(b.textContent, undefined, { numeric: true });
  };
  const missing = (cell) => cell.textContent.trim() === "–";
  const sort = (table, column, header) => {
    const down = header.getAttribute("aria-sort") === "ascending";
    const rows = [...table.tBodies[0].rows];
    rows.sort((first, second) => {
      const [a, b] = [first.cells[column], second.cells[column]];
      if (missing(a) || missing(b)) return missing(a) - missing(b); // last, whichever way
      return down ? compare(b, a) : compare(a, b);
    });
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    header.setAttribute("aria-sort", down ? "descending" : "ascending");
    table.tBodies[0].append(...rows);
  };
  for (const table of document.querySelectorAll("table.sortable")) {
    [...table.tHead.rows[0].cells].forEach((header, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.title = "Sort by this column";
      button.append(...header.childNodes);
      button.addEventListener("click", () => sort(table, column, header));
      header.append(button);
    });
  }

  const points = JSON.parse(document.getElementById("points").textContent); // [series, x, y, text] by figure
  const NEAR = 30; // units of the image
  const svgElement = (name) => document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const place of document.querySelectorAll(".plot")) {
    const svg = place.querySelector("svg"), hit = points[place.dataset.figure], off = new Set();
    const groups = (number) => svg.querySelectorAll(`[data-series="${number}"]`);
    const note = document.createElement("div"), ring = svgElement("circle");
    note.className = "read-out"; note.setAttribute("role", "status"); note.hidden = true;
    ring.setAttribute("class", "ring"); ring.setAttribute("r", 6);
    place.append(note);
    const shown = () => hit.filter(([series]) => !off.has(series));
    let current = -1;
    const hide = () => { note.hidden = true; ring.remove(); current = -1; };
    const show = (point) => {
      const [, x, y, text] = point, box = svg.getBoundingClientRect(), frame = place.getBoundingClientRect();
      const scale = box.width / svg.viewBox.baseVal.width;
      ring.setAttribute("cx", x); ring.setAttribute("cy", y); svg.append(ring);
      note.textContent = text; note.hidden = false;
      const left = x * scale, right = place.scrollLeft + frame.width;
      note.style.left = `${Math.max(place.scrollLeft, Math.min(left + 12, right - note.offsetWidth - 4))}px`;
      note.style.top = `${Math.max(0, y * scale - note.offsetHeight - 10)}px`;
      current = hit.indexOf(point);
    };
    const nearest = (event) => {
      const box = svg.getBoundingClientRect(), scale = svg.viewBox.baseVal.width / box.width;
      const x = (event.clientX - box.left) * scale, y = (event.clientY - box.top) * scale;
      let found = null, least = NEAR;
      for (const point of shown()) {
        const away = Math.hypot(point[1] - x, point[2] - y);
        if (away < least) [found, least] = [point, away];
      }
      return found;
    };
    const look = (event) => { const point = nearest(event); if (point) show(point); else hide(); };
    place.addEventListener("pointermove", look);
    place.addEventListener("pointerdown", look);
    place.addEventListener("pointerleave", (event) => { if (event.pointerType === "mouse") hide(); });
    place.addEventListener("blur", hide);
    place.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key], all = shown();
      if (event.key === "Escape") hide();
      if (!step || event.target !== place || !all.length) return;
      event.preventDefault();
      const at = all.indexOf(hit[current]);
      show(all[at < 0 ? 0 : (at + step + all.length) % all.length]);
    });
    const numbers = new Set([...svg.querySelectorAll("[data-key]")].map((one) => one.dataset.key));
    for (const number of numbers) {
      if (!groups(number).length) continue; // an entry that explains, without a series
      const entry = [...svg.querySelectorAll(`[data-key="${number}"]`)];
      const toggle = () => {
        const away = !off.has(Number(number));
        if (away) off.add(Number(number)); else off.delete(Number(number));
        for (const one of groups(number)) one.classList.toggle("hidden", away);
        for (const one of entry) one.classList.toggle("off", away);
        button.setAttribute("aria-pressed", String(!away));
        hide();
      };
      const others = (faint) => {
        for (const one of svg.querySelectorAll("[data-series]")) one.classList.toggle("faint", faint && one.dataset.series !== number);
      };
      const button = entry.find((one) => one.textContent.trim()) ?? entry[0];
      button.setAttribute("role", "button"); button.setAttribute("tabindex", "0"); button.setAttribute("aria-pressed", "true");
      button.addEventListener("keydown", (event) => {
        if (event.key === "Enter" || event.key === " ") { event.preventDefault(); toggle(); }
      });
      for (const one of entry) {
        one.addEventListener("click", toggle);
        one.addEventListener("pointerenter", () => others(true));
        one.addEventListener("pointerleave", () => others(false));
      }
    }
  }
})();
