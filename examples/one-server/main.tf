# One server with GPUs is a cloud: prefill on one of its GPUs and decode on another, behind a Dynamo router.
# No account and no orchestrator: `terraform apply` on the server itself.

terraform {
  required_version = ">= 1.8"
  required_providers {
    disagg = { source = "disagg/disagg" }
  }
}

provider "disagg" {
  local = {
    gpus            = "detected"
    engine_runtimes = var.engine_runtimes
  }
}

variable "model" {
  description = "A model that fits one of the GPUs, by its name on the hub."
  type        = string
  default     = "Qwen/Qwen3-8B"
}

variable "gpu" {
  description = "The GPUs of each machine: `H200` is one, `H200:2` two. `terraform-provider-disagg local gpus` lists what is there."
  type        = string
  default     = "H200"
}

variable "engine" {
  description = "`sglang`, `vllm` or `trtllm`."
  type        = string
  default     = "sglang"
}

variable "decode" {
  description = "How many machines decode; one reads prompts. Each has GPUs of its own."
  type        = number
  default     = 1
}

variable "runtime" {
  description = "`container` needs docker with NVIDIA's container toolkit, `venv` an engine in a virtual environment."
  type        = string
  default     = "container"
}

variable "engine_runtimes" {
  description = "With `venv`: where the engine is, as in `{ sglang = \"/opt/sglang\" }`."
  type        = map(string)
  default     = {}
}

resource "disagg_fleet" "server" {
  name  = "server"
  cloud = "local"
}

resource "disagg_service" "chat" {
  name     = "chat"
  fleet_id = disagg_fleet.server.id
  model    = var.model
}

resource "disagg_replica_group" "prefill" {
  name       = "prefill"
  service_id = disagg_service.chat.id
  role       = "prefill"
  replicas   = 1
  resources  = { gpu = var.gpu }
  engine     = { type = var.engine, runtime = var.runtime }
}

resource "disagg_replica_group" "decode" {
  name       = "decode"
  service_id = disagg_service.chat.id
  role       = "decode"
  replicas   = var.decode
  resources  = { gpu = var.gpu }
  engine     = { type = var.engine, runtime = var.runtime }
}

resource "disagg_endpoint" "chat" {
  service_id = disagg_service.chat.id
  group_ids  = [disagg_replica_group.prefill.id, disagg_replica_group.decode.id]
}

output "url" {
  description = "Base URL for clients of the OpenAI API, on this server."
  value       = disagg_endpoint.chat.url
}
