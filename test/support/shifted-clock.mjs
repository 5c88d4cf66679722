/**
 * Loaded into a node by NODE_OPTIONS=--import: its wall clock stands MILLRACE_TEST_CLOCK_FILE's
 * number of milliseconds beside that of the machine, and steps when the file changes. The monotonic
 * clock goes on as it is.
 */
import { readFileSync } from 'node:fs';

const file = process.env.MILLRACE_TEST_CLOCK_FILE;
const RealDate = Date;
const now = RealDate.now.bind(RealDate);
let offset = 0;
const look = () => {
  try {
    offset = Number(readFileSync(file, 'utf8')) || 0;
  } catch {
    // Not written yet.
  }
};
if (file !== undefined) {
  look();
  setInterval(look, 100).unref();
  globalThis.Date = class extends RealDate {
    constructor(...parts) {
      if (parts.length === 0) super(now() + offset);
      else super(...parts);
    }
    static now() {
      return now() + offset;
    }
  };
}
