// Once for each server: from here on every page names the records that it was made from.
export async function register() {
  if (process.env.NEXT_RUNTIME !== 'nodejs') return;
  const { register: registerMillrace } = await import(/* turbopackIgnore: true */ 'millrace/next');
  registerMillrace();
}
