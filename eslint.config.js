import tseslint from "typescript-eslint";

export default tseslint.config(
  { ignores: ["**/node_modules", "**/cdk.out*", "target", ".venv"] },
  ...tseslint.configs.strictTypeChecked,
  ...tseslint.configs.stylisticTypeChecked,
  {
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      // A construct is made for what it adds to its scope.
      "no-new": "off",
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true }],
      "@typescript-eslint/explicit-module-boundary-types": "error",
    },
  },
  { files: ["*.js"], ...tseslint.configs.disableTypeChecked },
);
