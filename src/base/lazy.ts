/** Values that are made when they are first needed: a start has half a second in all. */

/** Makes the value on the first call, and gives the same one ever after. */
export function lazy<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}
