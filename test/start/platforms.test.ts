import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const MODULES = fileURLToPath(new URL('../../../node_modules', import.meta.url))
/** The native modules of the image, as `image.test.ts` lists them. */
const NATIVE = ['bcrypt', 'classic-level', 'sodium-native', 'udx-native']
/** The field `e_machine` of an ELF file, which says for which processors it is. */
const MACHINE_OFFSET = 18

for (const [platform, machine] of [
  ['linux-x64', 0x3e],
  ['linux-arm64', 0xb7],
] as const) {
  test(`each native module has a binary for ${platform}, so that the image can be built there without a compiler`, async () => {
    for (const name of NATIVE) {
      const folder = join(MODULES, name, 'prebuilds', platform)
      const files = (await readdir(folder)).filter((file) => file.endsWith('.node') && !file.includes('musl'))
      assert.equal(files.length, 1, `${folder} has ${files.join(', ')}`)
      const binary = await readFile(join(folder, files[0] ?? ''))
      assert.equal(binary.toString('latin1', 0, 4), '\x7fELF')
      assert.equal(binary.readUInt16LE(MACHINE_OFFSET), machine, `${folder}/${files[0]}`)
    }
  })
}
