/**
 * Where a node of the GraphQL document stands: the bridge between the parser's tokens and the
 * places by which problems are reported.
 */
import type { Location } from 'graphql';
import type { SourcePlace } from './definition.ts';

export interface DocumentNode {
  readonly loc?: Location | undefined;
}

/** The place of the node's first token; line 1, column 1 when the parser kept none. */
export function placeOf(node: DocumentNode, file: string): SourcePlace {
  const token = node.loc?.startToken;
  return { file, line: token?.line ?? 1, column: token?.column ?? 1 };
}
