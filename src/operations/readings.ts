/** The values of one metric in what the node itself exposes to Prometheus. */

export interface Reading {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export function readings(exposition: string, name: string): Reading[] {
  return exposition.split('\n').flatMap((line) => {
    if (!line.startsWith(name)) return [];
    const after = line.charAt(name.length);
    if (after !== '{' && after !== ' ') return [];
    const space = line.lastIndexOf(' ');
    const labels: Record<string, string> = {};
    for (const [, key = '', value = ''] of line.matchAll(/([a-z_]+)="((?:[^"\\]|\\.)*)"/g)) {
      labels[key] = value.replace(/\\(.)/g, '$1');
    }
    return [{ labels, value: Number(line.slice(space + 1)) }];
  });
}
