import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Platform } from '../../src/oci/manifest.ts'
import { parsePlatform, platformOfNode, platformText, selectForPlatform } from '../../src/oci/platform.ts'

function platform(text: string): Platform {
  const found = parsePlatform(text)
  assert.ok(found.ok, text)
  return found.value
}

test('a platform is parsed as people and builders write it', () => {
  for (const [written, meant] of [
    ['linux/amd64', 'linux/amd64'],
    ['Linux/x86_64', 'linux/amd64'],
    ['linux/aarch64', 'linux/arm64'],
    ['linux/arm64/v8', 'linux/arm64/v8'],
    ['linux/armhf', 'linux/arm/v7'],
    ['linux/arm/v6', 'linux/arm/v6'],
    ['windows/amd64', 'windows/amd64'],
    ['macos/arm64', 'darwin/arm64'],
  ] as const)
    assert.equal(platformText(platform(written)), meant)
  for (const wrong of ['', 'linux', 'linux/', '/amd64', 'linux/arm/v7/x', 'linux/a b', 'all', '../x'])
    assert.equal(parsePlatform(wrong).ok, false, wrong)
})

test('a node gets the image of its own variant, or else of the next lower one', () => {
  for (const [wanted, offers, expected] of [
    ['linux/amd64', 'linux/amd64 linux/arm64 windows/amd64', 'linux/amd64'],
    ['linux/amd64', 'linux/amd64/v3 linux/amd64/v1', 'linux/amd64/v1'],
    ['linux/amd64/v3', 'linux/amd64/v4 linux/amd64/v2 linux/amd64', 'linux/amd64/v2'],
    ['linux/arm64', 'linux/arm64/v8', 'linux/arm64/v8'],
    ['linux/arm64/v8', 'linux/arm64', 'linux/arm64'],
    ['linux/arm', 'linux/arm/v6 linux/arm/v7 linux/arm/v5', 'linux/arm/v7'],
    ['linux/arm/v6', 'linux/arm/v7 linux/arm/v5', 'linux/arm/v5'],
    ['linux/arm/v6', 'linux/arm/v7', ''],
    ['linux/arm/v7', 'linux/arm64', ''],
    ['linux/riscv64', 'linux/riscv64 linux/riscv64/rva23', 'linux/riscv64'],
    ['linux/s390x', 'linux/amd64', ''],
    ['windows/amd64', 'windows/amd64 windows/amd64', 'windows/amd64 windows/amd64'],
  ] as const) {
    const found = selectForPlatform(
      offers.split(' ').map((text) => ({ platform: platform(text) })),
      platform(wanted),
    )
    const names = found.map((offer) => platformText(offer.platform)).join(' ')
    assert.equal(names, expected, `${wanted} of ${offers}`)
  }
  assert.deepEqual(selectForPlatform([{ platform: undefined }], platform('linux/amd64')), [])
})

test('the platform of a node has the name that images use', () => {
  for (const [arch, os, expected] of [
    ['x64', 'linux', 'linux/amd64'],
    ['arm64', 'darwin', 'linux/arm64'],
    ['ia32', 'linux', 'linux/386'],
    ['x64', 'win32', 'windows/amd64'],
    ['s390x', 'linux', 'linux/s390x'],
  ] as const)
    assert.equal(platformText(platformOfNode({ arch, platform: os })), expected)
})
