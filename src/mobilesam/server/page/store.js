// Work that survives a reload or a crash, in the browser's IndexedDB: one value a key.

const open = () =>
  new Promise((resolve, reject) => {
    const request = indexedDB.open("mobilesam", 1);
    request.onupgradeneeded = () => request.result.createObjectStore("work");
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

let database = null;

async function run(mode, use) {
  database ??= open().catch((error) => {
    database = null;
    throw error;
  });
  const transaction = (await database).transaction("work", mode, { durability: "strict" });
  const request = use(transaction.objectStore("work"));
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve(request.result);
    transaction.onabort = () => reject(transaction.error);
  });
}

export const read = (key) => run("readonly", (store) => store.get(key));
export const write = (key, value) => run("readwrite", (store) => store.put(value, key));
export const remove = (key) => run("readwrite", (store) => store.delete(key));
export const keys = () => run("readonly", (store) => store.getAllKeys());
