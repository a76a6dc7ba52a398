import { generateKeyPairSync } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Authority, type ClientNames, makeAuthority } from '../../../testkit/certificates.ts'

/** The address of the API server, which is that of the service `kubernetes`. */
export const API_ADDRESS = '10.96.0.1'

/** The keys and certificates of a cluster, as files in one folder. */
export class Credentials {
  readonly #folder: string
  readonly #authority: Authority = makeAuthority()

  static async make(folder: string): Promise<Credentials> {
    const credentials = new Credentials(folder)
    await credentials.#write()
    return credentials
  }

  private constructor(folder: string) {
    this.#folder = folder
  }

  path(name: string): string {
    return join(this.#folder, name)
  }

  async #write(): Promise<void> {
    await mkdir(this.#folder, { recursive: true })
    await writeFile(this.path('ca.crt'), this.#authority.ca)
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    await writeFile(this.path('accounts.key'), privateKey.export({ type: 'pkcs8', format: 'pem' }))
    await writeFile(this.path('accounts.pub'), publicKey.export({ type: 'spki', format: 'pem' }))
    await this.issue('api', [API_ADDRESS, '127.0.0.1', 'kubernetes.default.svc'])
    await this.issueToClient('admin', { commonName: 'admin', organization: 'system:masters' })
  }

  /** Writes `NAME.crt` and `NAME.key` for a server with these names and addresses. */
  async issue(name: string, hosts: readonly string[]): Promise<void> {
    await this.#writePair(name, this.#authority.issue(hosts))
  }

  /** Writes `NAME.crt` and `NAME.key` for a client of the API server, and `NAME.conf` with which it connects. */
  async issueToClient(name: string, names: ClientNames): Promise<void> {
    await this.#writePair(name, this.#authority.issueToClient(names))
    const user = { 'client-certificate': this.path(`${name}.crt`), 'client-key': this.path(`${name}.key`) }
    const cluster = { server: `https://${API_ADDRESS}`, 'certificate-authority': this.path('ca.crt') }
    const config = {
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: 'lab', cluster }],
      users: [{ name, user }],
      contexts: [{ name: 'lab', context: { cluster: 'lab', user: name } }],
      'current-context': 'lab',
    }
    // JSON is YAML.
    await writeFile(this.path(`${name}.conf`), JSON.stringify(config))
  }

  async #writePair(
    name: string,
    { cert, key }: { readonly cert: string; readonly key: string },
  ): Promise<void> {
    await writeFile(this.path(`${name}.crt`), cert)
    await writeFile(this.path(`${name}.key`), key)
  }
}
