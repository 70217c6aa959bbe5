import { afterEach } from "vitest";

/** Tests that never wait would keep a worker from answering for a whole file, and vitest gives it up after a minute. */
afterEach(async () => {
  await new Promise(setImmediate);
});
