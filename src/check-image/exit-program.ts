/** The instructions that end a process with exit code 0, by the architecture as OCI names it. */
const INSTRUCTIONS: Readonly<Record<string, { readonly machine: number; readonly code: string }>> = {
  // mov eax, 60 (exit); xor edi, edi; syscall
  amd64: { machine: 0x3e, code: 'b83c00000031ff0f05' },
  // mov x0, #0; mov x8, #93 (exit); svc #0
  arm64: { machine: 0xb7, code: '000080d2a80b80d2010000d4' },
}

const ELF_HEADER_BYTES = 64
const PROGRAM_HEADER_BYTES = 56
const LOAD_ADDRESS = 0x400000n

/**
 * A static ELF program that does nothing and succeeds, so that a container of the check image can run. Empty for an
 * architecture whose instructions are not known here: such an image can be pulled only.
 */
export function exitProgram(architecture: string): Uint8Array {
  const instructions = INSTRUCTIONS[architecture]
  if (instructions === undefined) return new Uint8Array(0)
  const code = Buffer.from(instructions.code, 'hex')
  const start = ELF_HEADER_BYTES + PROGRAM_HEADER_BYTES
  const program = Buffer.alloc(start + code.length)
  // ELF-64, little-endian, version 1; then the type (executable), the machine and the version.
  program.write('\x7fELF\x02\x01\x01', 0, 'latin1')
  program.writeUInt16LE(2, 16)
  program.writeUInt16LE(instructions.machine, 18)
  program.writeUInt32LE(1, 20)
  program.writeBigUInt64LE(LOAD_ADDRESS + BigInt(start), 24)
  program.writeBigUInt64LE(BigInt(ELF_HEADER_BYTES), 32)
  program.writeUInt16LE(ELF_HEADER_BYTES, 52)
  program.writeUInt16LE(PROGRAM_HEADER_BYTES, 54)
  program.writeUInt16LE(1, 56)
  // One segment (PT_LOAD) that may be read and executed: the whole file.
  program.writeUInt32LE(1, 64)
  program.writeUInt32LE(5, 68)
  program.writeBigUInt64LE(LOAD_ADDRESS, 80)
  program.writeBigUInt64LE(LOAD_ADDRESS, 88)
  program.writeBigUInt64LE(BigInt(program.length), 96)
  program.writeBigUInt64LE(BigInt(program.length), 104)
  program.writeBigUInt64LE(0x1000n, 112)
  code.copy(program, start)
  return program
}
