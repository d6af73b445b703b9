/** Codecs that Emscripten compiled to WebAssembly: compiled once where files may be read, made anew for each picture. */

/** What a codec's factory is told. Its own type names lean on a global that its package does not bring along. */
interface Options {
  noInitialRun: boolean;
  instantiateWasm(imports: WebAssembly.Imports, done: (instance: WebAssembly.Instance) => void): WebAssembly.Exports;
  printErr(message: string): void;
}

/** A codec's WebAssembly, of a file that `import.meta.resolve()` found. */
export async function compileCodec(url: string): Promise<WebAssembly.Module> {
  return await WebAssembly.compile(await Deno.readFile(new URL(url)));
}

/**
 * A codec of its own, so that neither a failure nor a large picture leaves memory behind; `complain` hears what it prints.
 *
 * @param create the factory of its package
 */
export async function startCodec<Codec>(
  create: unknown,
  wasm: WebAssembly.Module,
  complain: (message: string) => void = () => {},
): Promise<Codec> {
  return await (create as (options: Options) => Promise<Codec>)({
    noInitialRun: true,
    instantiateWasm(imports, done) {
      const instance = new WebAssembly.Instance(wasm, imports);
      done(instance);
      return instance.exports;
    },
    printErr: complain,
  });
}

/** RGBA, [height, width, 4], as codecs give and take it. */
export interface Rgba {
  width: number;
  height: number;
  data: Uint8ClampedArray;
}

/** The colours alone: RGB, [height, width, 3]. */
export function dropAlpha({ data }: Rgba): Uint8Array<ArrayBuffer> {
  const rgb = new Uint8Array(data.length / 4 * 3);
  for (let from = 0, to = 0; from < data.length; from += 4, to += 3) {
    rgb[to] = data[from];
    rgb[to + 1] = data[from + 1];
    rgb[to + 2] = data[from + 2];
  }
  return rgb;
}

/** The alpha channel alone, [height, width]. */
export function alphaOf({ data }: Rgba): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length: data.length / 4 }, (_, i) => data[4 * i + 3]);
}

/** Opaque RGBA of RGB. */
export function addAlpha(pixels: Uint8Array): Uint8Array<ArrayBuffer> {
  const rgba = new Uint8Array(pixels.length / 3 * 4).fill(255);
  for (let from = 0, to = 0; from < pixels.length; from += 3, to += 4) {
    rgba[to] = pixels[from];
    rgba[to + 1] = pixels[from + 1];
    rgba[to + 2] = pixels[from + 2];
  }
  return rgba;
}
