/** http-cache-semantics ships no types; the one test that uses it says what it expects. */
declare module 'http-cache-semantics';
