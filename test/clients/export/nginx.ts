import assert from 'node:assert/strict'
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { addCleanup } from '../../../testkit/cleanup.ts'
import { answers, Daemon, freePort } from '../../../testkit/daemon.ts'

const READY_CONFIG = new URL('../../../../deploy/static/nginx.conf', import.meta.url)
const IMAGES = '/var/lib/images'
/** Makes everything but the folder for temporary files read-only, as the ready image is meant to be run. */
const READ_ONLY =
  'mount --make-rprivate / && mount -t tmpfs tmpfs "$1" && mount -o remount,bind,ro / && shift && exec "$@"'

/** The configuration of the ready image, for a tree in `images` and a free port. */
export async function readyConfig(
  folder: string,
  images: string,
): Promise<{ readonly file: string; readonly port: number }> {
  // nginx reads the tree as another user.
  await chmod(folder, 0o755)
  await mkdir(join(folder, 'tmp'), { recursive: true })
  const port = await freePort()
  const text = await readFile(READY_CONFIG, 'utf8')
  assert.ok(text.includes(`${IMAGES}/*.conf`) && text.includes('listen 8080') && text.includes(' /tmp/'))
  const file = join(folder, 'nginx.conf')
  await writeFile(
    file,
    text
      // A test reads from a socket, which nginx cannot open by this name.
      .replace('access_log /dev/stdout', 'access_log off')
      .replaceAll(' /tmp/', ` ${folder}/tmp/`)
      .replaceAll(IMAGES, images)
      .replace('listen 8080', `listen 127.0.0.1:${port}`),
  )
  return { file, port }
}

/** Serves the tree in `images` until the end of the test, from a root that is read-only. Gives the address. */
export async function startNginx(
  t: TestContext,
  nginx: string,
  folder: string,
  images: string,
): Promise<string> {
  const { file, port } = await readyConfig(folder, images)
  const args = [
    '--mount',
    'sh',
    '-c',
    READ_ONLY,
    'sh',
    join(folder, 'tmp'),
    nginx,
    '-c',
    file,
    '-g',
    'daemon off;',
  ]
  const daemon = new Daemon('nginx', 'unshare', args)
  addCleanup(t, () => daemon.stop())
  await daemon.ready(() => answers(`http://127.0.0.1:${port}/healthz`))
  return `127.0.0.1:${port}`
}
