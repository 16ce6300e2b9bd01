# A disaggregated deployment on AWS, with ordinary AWS credentials and nothing else: in the default VPC of
# the account, or in a subnet of your own.

terraform {
  required_version = ">= 1.8"
  required_providers {
    disagg = { source = "disagg/disagg" }
  }
}

provider "disagg" {
  aws = { region = var.region }
}

variable "region" {
  type    = string
  default = "us-east-2"
}

variable "gpu" {
  description = "The GPUs of each machine."
  type        = string
  default     = "L4:4"
}

variable "subnet" {
  description = "A subnet with a NAT gateway. Machines with several network cards (H100:8 and up) need one, or `egress`."
  type        = string
  default     = null
}

variable "egress" {
  description = "`elastic_ip` gives each worker an Elastic IP, for a subnet without NAT."
  type        = string
  default     = null
}

variable "clients" {
  description = "Address blocks from which the endpoint is reached."
  type        = set(string)
  default     = []
}

module "glm" {
  source        = "../../modules/dynamo-pd"
  name          = "glm"
  cloud         = "aws"
  region        = var.region
  subnet        = var.subnet
  egress        = var.egress
  model         = "zai-org/GLM-4.5-Air-FP8"
  ingress_cidrs = var.clients
  prefill       = { replicas = 1, gpu = var.gpu }
  decode        = { replicas = 2, gpu = var.gpu }
}

output "url" {
  value = module.glm.url
}

output "maximum_hourly_cost" {
  value = module.glm.maximum_hourly_cost
}
