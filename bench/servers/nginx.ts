import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { get } from 'node:http'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { type Content, MANIFEST_TYPE } from '../content.ts'
import { findProgram, freePort, Program } from '../program.ts'
import { hex, type MeasuredServer, REPOSITORY } from './measured-server.ts'

/**
 * Serves a folder of content as a registry does, with sendfile. It is the upstream of every cold row, and is compared with
 * the agent for stored blobs. Its access log counts the bytes that it has sent.
 */
export class Nginx implements MeasuredServer {
  readonly name = 'nginx'
  readonly port: number
  readonly program: Program
  readonly #files: string
  readonly #log: string

  /** With `tls` it speaks TLS. */
  static async start(folder: string, content: Content, tls?: { cert: string; key: string }): Promise<Nginx> {
    const command = findProgram('nginx')
    if (command === undefined)
      throw new Error('nginx is not installed, and the upstream of this row is nginx')
    const port = await freePort()
    for (const part of ['body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']) {
      mkdirSync(join(folder, part), { recursive: true })
    }
    const log = join(folder, 'access.log')
    const file = join(folder, 'nginx.conf')
    writeFileSync(
      file,
      configuration(folder, content.folder, log, tls === undefined ? `${port}` : `${port} ssl`),
    )
    if (tls !== undefined) {
      writeFileSync(join(folder, 'tls.crt'), tls.cert)
      writeFileSync(join(folder, 'tls.key'), tls.key)
    }
    const program = await Program.start(
      'nginx',
      command,
      ['-p', folder, '-e', 'stderr', '-c', file],
      tls === undefined ? `http://127.0.0.1:${port}/v2/` : () => accepts(port),
    )
    return new Nginx(port, program, content.folder, log)
  }

  private constructor(port: number, program: Program, files: string, log: string) {
    this.port = port
    this.program = program
    this.#files = files
    this.#log = log
  }

  blobPath(digest: string): string {
    return `/v2/${REPOSITORY}/blobs/${digest}`
  }

  manifestPath(digest: string): string {
    return `/v2/${REPOSITORY}/manifests/${digest}`
  }

  storedFile(digest: string): string {
    return join(this.#files, hex(digest))
  }

  /** The bytes of this content that were sent so far, once all transfers have ended. */
  async sent(digest: string): Promise<{ readonly bytes: number; readonly transfers: number }> {
    while ((await this.#writing()) > 0) await wait(20)
    const lines = readFileSync(this.#log, 'utf8').split('\n')
    const bodies = lines.filter((line) => line.startsWith('GET ') && line.endsWith(digest))
    const bytes = bodies.reduce((sum, line) => sum + Number(line.split(' ')[2]), 0)
    return { bytes, transfers: bodies.length }
  }

  stop(): Promise<void> {
    return this.program.stop()
  }

  async #writing(): Promise<number> {
    const text = await textOf(`http://127.0.0.1:${this.port}/status`)
    return Number(/Writing: (\d+)/.exec(text)?.[1] ?? 1) - 1
  }
}

function textOf(url: string): Promise<string> {
  return new Promise((resolve, reject) => {
    get(url, { agent: false }, (response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (part: string) => {
        text += part
      })
      response.on('end', () => resolve(text))
    }).on('error', reject)
  })
}

/** Whether somebody listens on the port. */
function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => resolve(true))
    socket.once('error', () => resolve(false))
    socket.once('connect', () => socket.destroy())
  })
}

function configuration(folder: string, files: string, log: string, listen: string): string {
  // When root starts nginx, its workers run as `nobody`, who cannot read the folder of the bench.
  const user = process.getuid?.() === 0 ? 'user root;' : ''
  return `
${user}
daemon off;
worker_processes auto;
pid ${folder}/nginx.pid;
events { worker_connections 1024; }
http {
  log_format bench '$request_method $status $body_bytes_sent $uri';
  access_log ${log} bench;
  client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi;
  scgi_temp_path ${folder}/scgi;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 10000000;
  default_type application/octet-stream;
  server {
    listen 127.0.0.1:${listen};
    ${listen.endsWith('ssl') ? `ssl_certificate ${folder}/tls.crt; ssl_certificate_key ${folder}/tls.key;` : ''}
    location = /status { stub_status; access_log off; }
    location = /v2/ {
      default_type application/json;
      add_header Docker-Distribution-API-Version registry/2.0;
      return 200 '{}';
    }
    location ~ ^/v2/slow/.+/blobs/sha256:([0-9a-f]+)$ {
      limit_rate 256k;
      alias ${files}/$1;
    }
    location ~ ^/v2/.+/blobs/(sha256:([0-9a-f]+))$ {
      add_header Docker-Content-Digest $1;
      alias ${files}/$2;
    }
    location ~ ^/v2/.+/manifests/(sha256:([0-9a-f]+))$ {
      default_type ${MANIFEST_TYPE};
      add_header Docker-Content-Digest $1;
      alias ${files}/$2;
    }
  }
}
`
}
