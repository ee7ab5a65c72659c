"use strict";
(() => {
  const find = (id) => document.getElementById(id);
  const body = document.querySelector("#list tbody");
  const rows = Array.from(body.rows);
  const texts = new Map();
  const words = find("words"), state = find("state"), urgent = find("urgent"), shown = find("shown");

  const textOf = (row) => {
    if (!texts.has(row)) texts.set(row, row.textContent.toLowerCase());
    return texts.get(row);
  };
  const filter = () => {
    const wanted = words.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const row of rows) {
      const fits = (!state.value || row.dataset.state === state.value) &&
        (!urgent.checked || "alarm" in row.dataset) &&
        wanted.every((word) => textOf(row).includes(word));
      row.hidden = !fits;
      count += fits;
    }
    shown.value = count === rows.length ? `${count} shown` : `${count} of ${rows.length} shown`;
  };
  find("filter").hidden = false;
  find("filter").addEventListener("submit", (event) => event.preventDefault());
  for (const input of [words, state, urgent]) input.addEventListener("input", filter);
  for (const link of document.querySelectorAll("a[data-state]")) {
    link.addEventListener("click", () => { state.value = link.dataset.state; filter(); });
  }
  filter();

  const keyOf = (row, column) => {
    const cell = row.cells[column], time = cell.querySelector("time");
    if ("s" in cell.dataset) return Number(cell.dataset.s);
    return time ? Date.parse(time.dateTime) : cell.textContent;
  };
  const compare = (one, other) => {
    if (typeof one === "number" && typeof other === "number") return one - other;
    if (typeof one === "number") return -1; // a time before "connected" and "none"
    if (typeof other === "number") return 1;
    return one.localeCompare(other, undefined, { numeric: true });
  };
  const sort = (head) => {
    const first = head.classList.contains("n") || head.classList.contains("t") ? -1 : 1;
    const was = head.getAttribute("aria-sort");
    const way = was ? (was === "ascending" ? -1 : 1) : first;
    for (const other of head.parentNode.cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", way > 0 ? "ascending" : "descending");
    const keys = new Map(rows.map((row) => [row, keyOf(row, head.cellIndex)]));
    rows.sort((one, other) => way * compare(keys.get(one), keys.get(other)));
    body.append(...rows);
  };
  for (const head of document.querySelectorAll("#list thead th:not(.sp)")) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener("click", () => sort(head));
  }

  const age = find("age"), made = Date.parse(document.querySelector("header time").dateTime);
  const tell = () => {
    const minutes = Math.floor((Date.now() - made) / 60000);
    const hours = Math.floor(minutes / 60);
    const text = minutes < 1 ? "just now" : minutes < 120 ? `${minutes} min ago` :
      hours < 48 ? `${hours} h ago` : `${Math.floor(hours / 24)} days ago`;
    age.className = hours >= 26 ? "stale" : "";
    age.textContent = hours >= 26 ? `, ${text}: this page is old, and may not be true any more` : `, ${text}`;
  };
  tell();
  setInterval(tell, 30000);
})();
