/** Which copies of libnccl and libcuda a process has mapped. */
import type { GpuLibraryName } from './gpu-trace-functions.js';
import { type FileKind, type MappedFile, mappedFiles } from './uprobe-maps.js';

export type MappedLibrary = MappedFile<GpuLibraryName>;

const KINDS: readonly FileKind<GpuLibraryName>[] = [
  { library: 'libnccl', needle: '/libnccl.so', name: /\/libnccl\.so(?:\.[0-9.]+)?$/ },
  { library: 'libcuda', needle: '/libcuda.so', name: /\/libcuda\.so(?:\.[0-9.]+)?$/ },
];

/** Each file once. @param maps the text of /proc/PID/maps */
export function mappedLibraries(maps: string): readonly MappedLibrary[] {
  return mappedFiles(maps, KINDS);
}
