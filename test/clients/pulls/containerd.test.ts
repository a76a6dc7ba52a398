import { containerd } from '../kinds/containerd.ts'
import { pullsThroughTheAgent } from './pull-steps.ts'

pullsThroughTheAgent(containerd)
