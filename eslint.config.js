import tseslint from "typescript-eslint";

// Imports go down only: cli -> io, deft -> nn -> tensor -> kernels -> gpu. io stands beside deft and may use nn and tensor.
const layers = ["gpu", "kernels", "tensor", "nn", "deft"];
const nodeOnly = ["node:*", "fs", "path", "os", "sharp", "koffi", "webgpu", "fflate", "yaml", "@sparticuz/chromium"];
const engine = layers.map((layer, i) => ({
  files: [`src/${layer}/**/*.ts`],
  rules: {
    "no-restricted-imports": [
      "error",
      {
        patterns: [
          { group: nodeOnly, message: "The engine runs in a browser: files, processes and native libraries live in src/cli and src/io." },
          { group: [...layers.slice(i + 1), "cli", "io"].flatMap((l) => [`**/${l}/*`, `**/${l}/**`]), message: "Imports go down only." },
          ...(i > 2 ? [{ group: ["**/kernels/**", "**/gpu/**"], message: "Import src/tensor/index.ts instead." }] : []),
        ],
      },
    ],
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
      "no-restricted-exports": ["error", { restrictDefaultExports: { direct: true } }],
    },
  },
  { files: ["src/**/*.ts", "scripts/**", "bench/**"], rules: { "max-lines": ["error", { max: 400 }] } },
  { files: ["test/**/*.ts"], rules: { "max-lines": ["error", { max: 600 }] } },
  ...engine,
);
