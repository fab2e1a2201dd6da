/**
 * The part of ffi-napi 4.0.3 below its public functions. The package is frozen and pinned to this
 * exact version, so what is declared here cannot change under us.
 */
declare module 'ffi-napi/lib/bindings.js' {
  interface Bindings {
    /** Addresses of the C functions that libraries are opened by, as zero-copy Buffers. */
    readonly StaticFunctions: Readonly<Record<'dlopen' | 'dlsym' | 'dlerror' | '_errno', Buffer>>;
    readonly RTLD_NOW: number;
    ffi_call(cif: Buffer, fn: Buffer, result: Buffer, argv: Buffer): void;
    ffi_call_async(
      cif: Buffer,
      fn: Buffer,
      result: Buffer,
      argv: Buffer,
      done: (error: Error | undefined) => void,
    ): void;
    Callback(
      cif: Buffer,
      resultSize: number,
      argc: number,
      onError: (error: unknown) => void,
      body: (result: Buffer, argv: Buffer) => unknown,
    ): Buffer;
  }
  const bindings: Bindings;
  // biome-ignore lint/style/noDefaultExport: a CommonJS module has no other
  export default bindings;
}

declare module 'ffi-napi/lib/cif.js' {
  import type { Type } from 'ref-napi';
  function makeCif(result: Type, args: readonly Type[]): Buffer;
  // biome-ignore lint/style/noDefaultExport: a CommonJS module has no other
  export default makeCif;
}
