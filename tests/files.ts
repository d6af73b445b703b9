/** The project's own files, as the tests about the project itself read them. */

/** The project's folder. */
export const root = new URL("../", import.meta.url);

// Beside these, everything in a checkout belongs to the project.
const foreign = /^(\.git|\.tools|\.cache|node_modules|out.*\.png)$/;

/** Paths of all files below `folder`, relative to the project's; folders that are not the project's own are left out. */
export function* files(folder = ""): Generator<string> {
  for (const entry of Deno.readDirSync(new URL(folder, root))) {
    if (foreign.test(entry.name)) continue;
    if (entry.isDirectory) yield* files(`${folder}${entry.name}/`);
    else if (entry.isFile) yield folder + entry.name;
  }
}

/** The text of a file of the project. */
export function read(path: string): string {
  return Deno.readTextFileSync(new URL(path, root));
}

/** What a module refers to by `import`, `export … from`, `import()` or `new URL(…, import.meta.url)`. */
export function references(path: string): string[] {
  const source = read(path);
  const forms = [
    /^(?:import|export)\b[^;"]*?\bfrom\s+"([^"]+)"/gm,
    /^import\s+"([^"]+)"/gm,
    /\bimport\(\s*"([^"]+)"/g,
    /\bimport\.meta\.resolve\(\s*"([^"]+)"/g,
    /\bnew URL\(\s*"([^"]+)",\s*import\.meta\.url/g,
  ];
  return forms.flatMap((form) => Array.from(source.matchAll(form), ([, specifier]) => specifier));
}
