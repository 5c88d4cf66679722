/** A resource without a table: `/Hello` and `/Hello/<name>`. */
import { type RequestTarget, Resource } from 'millrace';

export class Hello extends Resource {
  static description = 'Says hello.';
  /** Without this line only signed-in administrators may call it. */
  static public = ['read'] as const;

  static get(target: RequestTarget) {
    return { greeting: `Hello, ${target.id ?? 'you'}` };
  }
}
