/** The application that the nodes of a test cluster run: rows, a counter, a cache over nothing. */
import type { AppFiles } from './node-process.ts';

const PUBLIC = 'public: [read, insert, update, delete, subscribe, publish]';

export const CLUSTER_APP: AppFiles = {
  'schema.graphql': `
type Item @table @export(name: "Item", ${PUBLIC}) {
  id: ID @primaryKey
  name: String @indexed
  count: Int
}
type Local @table(replicate: false) @export(name: "Local", ${PUBLIC}) {
  id: ID @primaryKey
}
`,
};

/** A log so short that an outage outlasts it. */
export const SHORT_LOG: AppFiles = {
  ...CLUSTER_APP,
  'millrace.yaml': 'limits: { writeQueueAgeMsMax: 60s, logEntriesMax: 200 }\n',
};
