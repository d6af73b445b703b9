/** This browser's pictures, in IndexedDB; in memory only where the browser keeps nothing. */

/**
 * A picture: its PNG, the fields of its request with the seed that it has, and when it was made.
 * @typedef {{id?: number, blob: Blob, fields: Record<string, string>, infotext: string, made: number}} Kept
 */

const database = new Promise((resolve) => {
  try {
    const request = indexedDB.open("stable-diffusion", 1);
    request.onupgradeneeded = () =>
      request.result.createObjectStore("pictures", { keyPath: "id", autoIncrement: true });
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => resolve(undefined);
  } catch {
    resolve(undefined);
  }
});

/** Pictures where there is no database. */
const loose = [];

/** What a request of the database comes to, once its transaction is over. */
async function transact(mode, act) {
  const transaction = (await database).transaction("pictures", mode),
    request = act(transaction.objectStore("pictures"));
  return await new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve(request.result);
    transaction.onabort = transaction.onerror = () => reject(transaction.error ?? request.error);
  });
}

/** Keeps a picture, and gives it its id. */
export async function keep(picture) {
  if (await database) {
    return { ...picture, id: await transact("readwrite", (store) => store.add(picture)) };
  }
  const kept = { ...picture, id: loose.length + 1 };
  loose.push(kept);
  return kept;
}

/** Up to `count` pictures that are older than the one of the id, newest first. */
export async function older(id, count) {
  if (!(await database)) {
    return loose
      .filter((picture) => id === undefined || picture.id < id)
      .reverse()
      .slice(0, count);
  }
  const range = id === undefined ? null : IDBKeyRange.upperBound(id, true), found = [];
  await transact("readonly", (store) => {
    const request = store.openCursor(range, "prev");
    request.onsuccess = () => {
      const cursor = request.result;
      if (!cursor) return;
      found.push(cursor.value);
      if (found.length < count) cursor.continue();
    };
    return request;
  });
  return found;
}

export async function forget(id) {
  if (await database) {
    return await transact("readwrite", (store) => store.delete(id));
  }
  loose.splice(
    loose.findIndex((picture) => picture.id === id),
    1,
  );
}
