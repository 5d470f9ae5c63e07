module model-factory/probe

go 1.22
