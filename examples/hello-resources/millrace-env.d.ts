/** Tells an editor which tables there are. */
import type { ApplicationTable } from 'millrace';

declare module 'millrace' {
  interface Tables {
    readonly Guest: ApplicationTable;
    readonly Rate: ApplicationTable;
  }
}
