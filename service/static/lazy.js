// Modules that are loaded after the first paint, or when they are wanted.

/** Load a module and use it. It may fail to load: the page is being left, or the server is away. */
export async function useModule(load, use, fail = () => {}) {
  let module;
  try {
    module = await load();
  } catch {
    fail();
    return;
  }
  await use(module);
}
