// Work that survives a reload or a crash, in the browser's IndexedDB: one value a key.

let database = null; // once it is open
let opening = null;

const open = () =>
  new Promise((resolve, reject) => {
    const request = indexedDB.open("mobilesam", 1);
    request.onupgradeneeded = () => request.result.createObjectStore("work");
    request.onsuccess = () => resolve((database = request.result));
    request.onerror = () => {
      opening = null;
      reject(request.error);
    };
  });

const run = (mode, use) => {
  if (database) return transact(mode, use);
  opening ??= open();
  return opening.then(() => transact(mode, use));
};

/** Begun and committed in this very moment: a page that is closed in the next one has saved all the same. */
function transact(mode, use) {
  return new Promise((resolve, reject) => {
    const transaction = database.transaction("work", mode, { durability: "strict" });
    const request = use(transaction.objectStore("work"));
    transaction.oncomplete = () => resolve(request.result);
    transaction.onabort = () => reject(transaction.error);
    transaction.commit();
  });
}

export const read = (key) => run("readonly", (store) => store.get(key));
export const write = (key, value) => run("readwrite", (store) => store.put(value, key));
export const remove = (key) => run("readwrite", (store) => store.delete(key));
export const keys = () => run("readonly", (store) => store.getAllKeys());
