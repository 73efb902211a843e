// Figures for people.

/** Three significant digits; an empty text for null. */
export function number(value) {
  if (value === null || value === undefined) return "";
  return value >= 100 ? String(Math.round(value)) : String(+value.toPrecision(3));
}

/** Lines of a table for a terminal: the first column to the left, the others to the right. */
export function table(head, rows) {
  const widths = head.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i].length)));
  return [head, ...rows].map((row) =>
    row
      .map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i])))
      .join("  ")
      .trimEnd(),
  );
}

/** Lines of the same table in Markdown. */
export function markdown(head, rows) {
  const line = (cells) => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map((_, i) => (i === 0 ? "---" : "--:"))), ...rows.map(line)];
}
