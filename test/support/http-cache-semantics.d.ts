/** The part of http-cache-semantics that the differential tests use; it ships no types. */
declare module 'http-cache-semantics' {
  interface Fields {
    readonly [name: string]: string;
  }
  class CachePolicy {
    constructor(
      request: { readonly headers: Fields },
      response: { readonly status: number; readonly headers: Fields },
      options: { readonly shared: boolean },
    );
    stale(): boolean;
    age(): number;
    storable(): boolean;
  }
  export = CachePolicy;
}
