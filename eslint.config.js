import tseslint from "typescript-eslint";

// Imports go down only: cli -> io, deft -> nn -> tensor -> kernels -> gpu. io stands beside deft and may use it, nn and tensor.
// Everything above tensor sees its index only. gpu to deft are the engine: they run in a browser and import no package at all.
const layers = ["gpu", "kernels", "tensor", "nn", "deft", "io", "cli"];
const engine = layers.slice(0, 5);
const upward = (layer, i) => (layer === "deft" ? ["io", "cli"] : layers.slice(i + 1));
const rulesOf = (layer, i) => [
  ...(layer === "cli"
    ? []
    : [{ regex: `^\\.\\.?/.*\\b(${upward(layer, i).join("|")})/`, message: "Imports go down only." }]),
  ...(engine.includes(layer)
    ? [
        {
          regex: "^[^.]",
          message: "The engine runs in a browser: packages and Node live in src/cli and src/io.",
        },
      ]
    : []),
  ...(i > 2
    ? [
        {
          regex: "^\\.\\.?/.*\\b(gpu/|kernels/|tensor/(?!index\\.ts$))",
          message: "Import src/tensor/index.ts instead.",
        },
      ]
    : []),
];
const boundaries = layers.map((layer, i) => ({
  files: [`src/${layer}/**/*.ts`],
  rules: {
    "no-restricted-imports": ["error", { patterns: rulesOf(layer, i) }],
    ...(engine.includes(layer)
      ? {
          "no-restricted-syntax": [
            "error",
            { selector: "ImportExpression", message: "The engine is loaded whole: import at the top." },
          ],
          "no-restricted-globals": [
            "error",
            "process",
            "Buffer",
            "require",
            "global",
            "__dirname",
            "__filename",
          ],
        }
      : {}),
  },
}));

export default tseslint.config(
  { ignores: ["node_modules", "dist", "outputs", "**/*.gen.ts"] },
  ...tseslint.configs.recommended,
  {
    files: ["src/**/*.ts", "test/**/*.ts", "bench/**/*.ts"],
    languageOptions: { parserOptions: { project: "./tsconfig.json" } },
    rules: {
      "@typescript-eslint/no-floating-promises": "error",
      "@typescript-eslint/no-explicit-any": "error",
      "@typescript-eslint/consistent-type-imports": "error",
      "no-restricted-exports": ["error", { restrictDefaultExports: { direct: true, named: true } }],
    },
  },
  // Lines of shaders/ are counted by scripts/check-cycles.mjs.
  {
    files: ["src/**/*.ts", "scripts/**/*.mjs", "bench/**/*.{ts,mjs}"],
    rules: { "max-lines": ["error", { max: 400 }] },
  },
  { files: ["test/**/*.ts"], rules: { "max-lines": ["error", { max: 600 }] } },
  ...boundaries,
);
