import { configure, ip, Namespaces, shape } from './namespaces.ts'

/** Bits per second, of frames with their headers: what a cable of that speed carries. */
export type Rate = number

/** One machine of the lab: a namespace with one cable to the switch. */
export interface Place {
  readonly label: string
  readonly namespace: string
  /** IPv4 address at the cable. */
  readonly address: string
}

/** What has gone over one cable. */
export interface Traffic {
  readonly sent: number
  readonly received: number
}

/** The switch that upstream is at. */
const CORE = 'core'
/** Of each switch: what is sent to it goes no further. */
const SWITCH_MAC = '02:00:00:00:00:01'
/** Packets of the kernel's own offloading are not larger than this, so that they wait for tokens only briefly. */
const LARGEST = 16_384
const BURST = 2 * LARGEST
/** How long the queue in front of a cable may get. */
const QUEUE_MS = 25

/**
 * Machines at one switch, each by a cable that is as fast as it is said to be in both directions. All of it, the switch
 * too, is in namespaces of its own: no address of the lab exists on the machine itself, so nothing can take a short cut.
 */
export class Network {
  readonly #namespaces = new Namespaces()
  readonly #switch: string
  readonly #places: Place[] = []
  readonly #sites = new Set<string>()

  constructor() {
    try {
      this.#switch = this.#namespaces.add('switch')
      this.#addBridge(CORE)
    } catch (error) {
      this.#namespaces.close()
      throw error
    }
  }

  /** `site`: at a switch of its own, which is joined to the others' by one line. */
  join(label: string, rate?: Rate, site?: string): Place {
    const bridge = site === undefined ? CORE : this.#bridgeOf(site)
    const address = `10.77.0.${this.#places.length + 1}`
    const namespace = this.#namespaces.add(label)
    const place = { label, namespace, address }
    this.#places.push(place)
    const port = portOf(place)
    const large = `gso_max_size ${LARGEST}`
    ip(['-n', this.#switch, 'link', 'add', port, 'type', 'veth', 'peer', 'name', 'cable', 'netns', namespace])
    configure(this.#switch, [`link set ${port} master ${bridge} ${large}`, `link set ${port} up`])
    configure(namespace, [
      `address add ${address}/24 dev cable`,
      `link set cable ${large}`,
      'link set cable up',
    ])
    if (rate !== undefined) this.setRate(place, rate)
    return place
  }

  #bridgeOf(site: string): string {
    const bridge = `site-${site}`
    if (this.#sites.has(site)) return bridge
    this.#sites.add(site)
    this.#addBridge(bridge)
    configure(this.#switch, [
      `link add in-${site} type veth peer name out-${site}`,
      `link set in-${site} master ${bridge} up`,
      `link set out-${site} master ${CORE} up`,
    ])
    return bridge
  }

  #addBridge(name: string): void {
    configure(this.#switch, [
      `link add ${name} address ${SWITCH_MAC} type bridge forward_delay 0 mcast_snooping 0`,
      `link set ${name} up`,
    ])
  }

  /** Of its cable, both ways, from now on. */
  setRate(place: Place, rate: Rate): void {
    const bucket = `root tbf rate ${Math.round(rate)}bit burst ${BURST} latency ${QUEUE_MS}ms`
    shape(place.namespace, `qdisc replace dev cable ${bucket}`)
    shape(this.#switch, `qdisc replace dev ${portOf(place)} ${bucket}`)
  }

  /** Pulls its cable out of the switch. */
  cut(place: Place): void {
    configure(this.#switch, [`link set ${portOf(place)} down`])
  }

  mend(place: Place): void {
    configure(this.#switch, [`link set ${portOf(place)} up`])
  }

  /** From now on no packet gets from one group to another. Who is in no group reaches everyone. */
  partition(...groups: readonly (readonly Place[])[]): void {
    for (const group of groups) {
      const others = groups.filter((other) => other !== group).flat()
      // They take the switch itself for the others, and it has no use for their packets.
      for (const place of group) {
        configure(
          place.namespace,
          others.map(
            (other) => `neigh replace ${other.address} lladdr ${SWITCH_MAC} dev cable nud permanent`,
          ),
        )
      }
    }
  }

  /** Everyone reaches everyone again. */
  heal(): void {
    for (const { namespace } of this.#places) configure(namespace, ['neigh flush all nud permanent'])
  }

  /** Counted at the place's end of its cable, headers and all. */
  traffic(place: Place): Traffic {
    return countedAt(place.namespace, 'cable')
  }

  /** What a whole site has sent to the rest, and received from there. */
  trafficOf(site: string): Traffic {
    return countedAt(this.#switch, `in-${site}`)
  }

  close(): void {
    this.#namespaces.close()
  }
}

function countedAt(namespace: string, device: string): Traffic {
  const [link] = JSON.parse(ip(['-n', namespace, '-json', '-stats', 'link', 'show', 'dev', device]))
  return { sent: link.stats64.tx.bytes, received: link.stats64.rx.bytes }
}

function portOf(place: Place): string {
  return `port${place.address.split('.')[3]}`
}
