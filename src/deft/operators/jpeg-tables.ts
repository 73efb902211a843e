/** Annex K of ITU-T T.81, rows of the 8×8 block one after another. */
const LUMA = [
  ...[16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55],
  ...[14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62],
  ...[18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92],
  ...[49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99],
];
const CHROMA_CORNER = [17, 18, 24, 47, 18, 21, 26, 66, 24, 26, 56, 99, 47, 66, 99, 99];
const CHROMA = Array.from({ length: 64 }, (_, i) => {
  const [row, column] = [Math.floor(i / 8), i % 8];
  return row < 4 && column < 4 ? (CHROMA_CORNER[4 * row + column] as number) : 99;
});

export interface QuantisationTables {
  readonly luma: readonly number[];
  readonly chroma: readonly number[];
}

/**
 * The standard tables at quality q in 1…100 (IJG): ⌊(T·s + 50)/100⌋ clipped to 1…255, s = ⌊5000/q⌋ for q < 50, else 200 − 2q.
 * 64 values each, row by row.
 */
export function quantisationTables(quality: number): QuantisationTables {
  const scale = quality < 50 ? Math.floor(5000 / quality) : 200 - 2 * quality;
  const scaled = (table: readonly number[]) =>
    table.map((t) => Math.min(255, Math.max(1, Math.floor((t * scale + 50) / 100))));
  return { luma: scaled(LUMA), chroma: scaled(CHROMA) };
}
