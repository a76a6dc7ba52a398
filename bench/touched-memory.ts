import { closeSync, openSync, rmSync, writeSync } from 'node:fs'

const PIECE_BYTES = 4 << 20

/**
 * Writes a file of so many bytes and removes it: the file system takes the same memory again. New pages of a virtual machine
 * are dear the first time, which is not what is measured.
 */
export function touchMemory(file: string, bytes: number): void {
  const piece = Buffer.alloc(PIECE_BYTES, 1)
  const fd = openSync(file, 'w')
  try {
    for (let written = 0; written < bytes; ) written += writeSync(fd, piece)
  } finally {
    closeSync(fd)
    rmSync(file)
  }
}
