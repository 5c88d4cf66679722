/**
 * The chart in `helm/` as objects: rendered by Go's own templates (`render.go`, built once a run),
 * and read as Kubernetes reads them (YAML 1.1). Nothing here knows what the objects should be.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseAllDocuments, stringify } from 'yaml';

const RENDERER = fileURLToPath(new URL('render.go', import.meta.url));
export const CHART = fileURLToPath(new URL('../../../helm', import.meta.url));
const GO_SOURCES = '/usr/share/gocode';

/** Why the chart is not rendered; `undefined` when it is. */
export const WITHOUT_GO: string | undefined = existsSync(
  `${GO_SOURCES}/src/github.com/Masterminds/sprig`,
)
  ? undefined
  : 'skipped: the Debian packages golang-go and golang-github-masterminds-sprig-dev are missing';

export type Json = Readonly<Record<string, unknown>>;

export interface KubernetesObject extends Json {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly labels: Readonly<Record<string, string>> };
}

export class Chart {
  readonly #folder = mkdtempSync(path.join(tmpdir(), 'millrace-helm-'));
  readonly #renderer = path.join(this.#folder, 'render');

  constructor() {
    execFileSync('go', ['build', '-o', this.#renderer, RENDERER], {
      env: { ...process.env, GO111MODULE: 'off', GOPATH: GO_SOURCES, GOFLAGS: '' },
      stdio: ['ignore', 'inherit', 'inherit'],
    });
  }

  /** What `helm install web` would create in the namespace `prod`, notes left out. */
  objects(values: Json = {}): readonly KubernetesObject[] {
    const { status, stdout, stderr } = this.#run(values);
    if (status !== 0) throw new Error(stderr);
    const documents = stdout
      .split(/^---\n# Source: NOTES.txt\n[\s\S]*?(?=^---\n# Source)/m)
      .join('');
    return parseAllDocuments(documents, { version: '1.1' })
      .map((document) => {
        if (document.errors.length > 0) throw new Error(`${document.errors[0]}\n${document}`);
        return document.toJS() as KubernetesObject | null;
      })
      .filter((object) => object !== null);
  }

  /** What it says when it refuses the values; '' when it takes them. */
  refusal(values: Json): string {
    const { status, stderr } = this.#run(values);
    return status === 0 ? '' : stderr;
  }

  #run(values: Json) {
    const file = path.join(this.#folder, 'values.yaml');
    writeFileSync(file, stringify(values));
    return spawnSync(this.#renderer, [CHART, 'web', 'prod', file], { encoding: 'utf8' });
  }

  dispose(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
