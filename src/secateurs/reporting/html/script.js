"use strict";
(() => {
  const root = document.documentElement;

  // ---- light and dark: what the system says, until somebody chooses here
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const button = document.getElementById("theme");
  let chosen = null;
  try { chosen = localStorage.getItem("secateurs-theme"); } catch { /* a page in a frame may have no storage */ }
  const paint = () => {
    const theme = chosen || (dark.matches ? "dark" : "light");
    root.dataset.theme = theme;
    button.textContent = theme === "dark" ? "Light" : "Dark";
    button.setAttribute("aria-label", `Switch to ${theme === "dark" ? "light" : "dark"} colours`);
  };
  button.addEventListener("click", () => {
    chosen = root.dataset.theme === "dark" ? "light" : "dark";
    try { localStorage.setItem("secateurs-theme", chosen); } catch { /* as above */ }
    paint();
  });
  dark.addEventListener("change", paint);
  paint();

  // ---- tables: numbers by value, words by the alphabet; what is missing stays at the end
  const value = (row, column) => {
    const cell = row.cells[column];
    if (cell.dataset.sort !== undefined) return Number(cell.dataset.sort);
    const text = cell.textContent.trim();
    return text === "" || text === "-" ? null : text;
  };
  const compare = (a, b) => {
    if (a === null || b === null) return (a === null) - (b === null);
    return typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), undefined, { numeric: true });
  };
  const sortBy = (head) => {
    const down = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
    const body = head.closest("table").tBodies[0];
    const column = head.cellIndex;
    const rows = Array.from(body.rows, (row) => ({ row, key: value(row, column) }));
    rows.sort((a, b) => (a.key === null || b.key === null ? compare(a.key, b.key) : down * compare(a.key, b.key)));
    for (const other of head.parentNode.cells) other.setAttribute("aria-sort", "none");
    head.setAttribute("aria-sort", down === 1 ? "ascending" : "descending");
    body.append(...rows.map((entry) => entry.row));
  };
  document.addEventListener("click", (event) => {
    const head = event.target.closest("table.sortable thead th");
    if (head) sortBy(head);
  });
  for (const cell of document.querySelectorAll("td.heat")) {
    cell.style.setProperty("--shade", parseFloat(cell.style.getPropertyValue("--share")) / 100);
  }

  // ---- what is pointed at
  const tip = document.getElementById("tip");
  const hide = () => { tip.classList.remove("shown"); cursor.remove(); };
  const show = (text, x, y) => {
    tip.textContent = text;
    tip.classList.add("shown");
    const box = tip.getBoundingClientRect();
    const left = x + 14 + box.width > innerWidth ? x - 14 - box.width : x + 14;
    const top = y + 14 + box.height > innerHeight ? y - 10 - box.height : y + 14;
    tip.style.left = `${Math.max(4, left)}px`;
    tip.style.top = `${Math.max(4, top)}px`;
  };
  const cursor = document.createElementNS("http://www.w3.org/2000/svg", "circle");
  cursor.id = "cursor";
  cursor.setAttribute("r", "4.5");
  const figures = (number, whole) => {
    if (whole) return String(Math.round(number));
    const size = Math.abs(number);
    return size >= 1000 ? Math.round(number).toLocaleString("en") : Number(number.toPrecision(4)).toString();
  };
  // The nearest vertex of any line that is shown; its values follow from the frame.
  const nearest = (plot, event) => {
    const matrix = plot.getScreenCTM();
    if (!matrix) return null;
    const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(matrix.inverse());
    let best = null;
    for (const line of plot.querySelectorAll(".series:not(.dimmed) .line")) {
      for (const point of line.points) {
        const far = (point.x - at.x) ** 2 + (point.y - at.y) ** 2;
        if (far < 900 && (!best || far < best.far)) best = { far, x: point.x, y: point.y, line };
      }
    }
    return best;
  };
  const told = (plot, found) => {
    const [x0, x1, y0, y1, left, right, bottom, top, log, whole] = plot.dataset.frame.split(" ").map(Number);
    const part = (found.x - left) / (right - left);
    const x = log ? Math.exp(Math.log(x0) + part * (Math.log(x1) - Math.log(x0))) : x0 + part * (x1 - x0);
    const y = y0 + ((bottom - found.y) / (bottom - top)) * (y1 - y0);
    return `${found.line.dataset.label}\n${plot.dataset.x}: ${figures(x, whole)}\n${plot.dataset.y}: ${figures(y, false)}`;
  };
  const axes = new WeakMap(); // the axes of a picture, read once
  const worded = (target) => {
    if (target.dataset.tip !== undefined) return target.dataset.tip;
    const picture = target.closest(".network");
    if (!axes.has(picture)) axes.set(picture, JSON.parse(picture.dataset.axes));
    return axes.get(picture)[target.dataset.axis];
  };
  const point = (event) => {
    const target = event.target.closest ? event.target.closest("[data-tip], .network [data-axis]") : null;
    const words = target && worded(target);
    if (words) { cursor.remove(); show(words, event.clientX, event.clientY); return; }
    const plot = event.target.closest ? event.target.closest("svg.plot[data-frame]") : null;
    const found = plot && nearest(plot, event);
    if (!found) { hide(); return; }
    cursor.setAttribute("cx", found.x);
    cursor.setAttribute("cy", found.y);
    plot.append(cursor);
    show(told(plot, found), event.clientX, event.clientY);
  };
  document.addEventListener("pointermove", point, { passive: true });
  document.addEventListener("pointerdown", point, { passive: true });
  document.addEventListener("scroll", hide, { passive: true, capture: true });
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });

  // ---- the legend shows and hides a method in all charts of its group
  document.addEventListener("click", (event) => {
    const key = event.target.closest(".legend button");
    if (!key) return;
    const on = key.getAttribute("aria-pressed") !== "true";
    key.setAttribute("aria-pressed", String(on));
    for (const series of key.closest("section").querySelectorAll("g.series")) {
      if (series.dataset.series === key.dataset.series) series.classList.toggle("dimmed", !on);
    }
  });

  // ---- copy a command or a recipe
  document.addEventListener("click", async (event) => {
    const copy = event.target.closest("button.copy");
    if (!copy) return;
    const source = copy.closest(".code, tr").querySelector("pre, code");
    const range = document.createRange();
    range.selectNodeContents(source);
    getSelection().removeAllRanges();
    getSelection().addRange(range);
    try { await navigator.clipboard.writeText(source.textContent); copy.textContent = "Copied"; } catch { copy.textContent = "Selected"; }
    setTimeout(() => { copy.textContent = "Copy"; }, 1500);
  });

  // ---- a link to a run opens it
  const reveal = () => {
    const found = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (found && found.tagName === "DETAILS") found.open = true;
  };
  addEventListener("hashchange", reveal);
  reveal();
})();
