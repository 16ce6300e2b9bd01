terraform {
  required_providers {
    disagg = {
      source = "disagg/disagg"
    }
  }
}

# Nothing has to be given. Each cloud is opened when it is first needed, with its own usual
# credentials; the local cloud needs none.
provider "disagg" {}
