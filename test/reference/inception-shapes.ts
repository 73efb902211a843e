// Names and shapes of pytorch-fid's Inception-v3, written out from the paper's figures: name, channels in and out, kernel.
const CONVOLUTIONS = `
Conv2d_1a_3x3 3 32 3 3
Conv2d_2a_3x3 32 32 3 3
Conv2d_2b_3x3 32 64 3 3
Conv2d_3b_1x1 64 80 1 1
Conv2d_4a_3x3 80 192 3 3
${["5b 192 32", "5c 256 64", "5d 288 64"]
  .map((row) => {
    const [m, c, p] = row.split(" ") as [string, string, string];
    return `Mixed_${m}.branch1x1 ${c} 64 1 1
Mixed_${m}.branch5x5_1 ${c} 48 1 1
Mixed_${m}.branch5x5_2 48 64 5 5
Mixed_${m}.branch3x3dbl_1 ${c} 64 1 1
Mixed_${m}.branch3x3dbl_2 64 96 3 3
Mixed_${m}.branch3x3dbl_3 96 96 3 3
Mixed_${m}.branch_pool ${c} ${p} 1 1`;
  })
  .join("\n")}
Mixed_6a.branch3x3 288 384 3 3
Mixed_6a.branch3x3dbl_1 288 64 1 1
Mixed_6a.branch3x3dbl_2 64 96 3 3
Mixed_6a.branch3x3dbl_3 96 96 3 3
${["6b 128", "6c 160", "6d 160", "6e 192"]
  .map((row) => {
    const [m, k] = row.split(" ") as [string, string];
    return `Mixed_${m}.branch1x1 768 192 1 1
Mixed_${m}.branch7x7_1 768 ${k} 1 1
Mixed_${m}.branch7x7_2 ${k} ${k} 1 7
Mixed_${m}.branch7x7_3 ${k} 192 7 1
Mixed_${m}.branch7x7dbl_1 768 ${k} 1 1
Mixed_${m}.branch7x7dbl_2 ${k} ${k} 7 1
Mixed_${m}.branch7x7dbl_3 ${k} ${k} 1 7
Mixed_${m}.branch7x7dbl_4 ${k} ${k} 7 1
Mixed_${m}.branch7x7dbl_5 ${k} 192 1 7
Mixed_${m}.branch_pool 768 192 1 1`;
  })
  .join("\n")}
Mixed_7a.branch3x3_1 768 192 1 1
Mixed_7a.branch3x3_2 192 320 3 3
Mixed_7a.branch7x7x3_1 768 192 1 1
Mixed_7a.branch7x7x3_2 192 192 1 7
Mixed_7a.branch7x7x3_3 192 192 7 1
Mixed_7a.branch7x7x3_4 192 192 3 3
${["7b 1280", "7c 2048"]
  .map((row) => {
    const [m, c] = row.split(" ") as [string, string];
    return `Mixed_${m}.branch1x1 ${c} 320 1 1
Mixed_${m}.branch3x3_1 ${c} 384 1 1
Mixed_${m}.branch3x3_2a 384 384 1 3
Mixed_${m}.branch3x3_2b 384 384 3 1
Mixed_${m}.branch3x3dbl_1 ${c} 448 1 1
Mixed_${m}.branch3x3dbl_2 448 384 3 3
Mixed_${m}.branch3x3dbl_3a 384 384 1 3
Mixed_${m}.branch3x3dbl_3b 384 384 3 1
Mixed_${m}.branch_pool ${c} 192 1 1`;
  })
  .join("\n")}`;

/** Every tensor of the file: convolutions without bias, batch norms, the classifier. */
export function inceptionShapes(): [name: string, shape: number[]][] {
  const tensors = CONVOLUTIONS.trim()
    .split("\n")
    .flatMap((line): [string, number[]][] => {
      const [name, ...sizes] = line.split(" ");
      const [inC, outC, kh, kw] = sizes.map(Number) as [number, number, number, number];
      return [
        [`${name}.conv.weight`, [outC, inC, kh, kw]],
        ...["weight", "bias", "running_mean", "running_var"].map((p): [string, number[]] => [
          `${name}.bn.${p}`,
          [outC],
        ]),
      ];
    });
  return [...tensors, ["fc.weight", [1008, 2048]], ["fc.bias", [1008]]];
}
