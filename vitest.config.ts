import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["cdk/test/**/*.test.ts"],
    setupFiles: ["cdk/test/breathe.ts"],
    // A stack with all its constructs takes seconds on a slow machine.
    testTimeout: 60_000,
  },
});
