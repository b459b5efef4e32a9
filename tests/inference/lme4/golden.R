# What lme4 says of the tables in tables.csv, by REML: writes golden.csv beside it. Run once, by hand:
#     Rscript golden.R        (Debian: r-cran-lme4)
suppressMessages(library(lme4))
cells <- read.csv("tables.csv", colClasses = c(table = "character", d = "numeric"))
rows <- lapply(split(cells, cells$table), function(of) {
  fit <- lmer(d ~ 1 + (1 | patient) + (1 | replicate), data = of, REML = TRUE,
              control = lmerControl(optimizer = "bobyqa", optCtrl = list(rhoend = 1e-12),
                                    check.conv.singular = "ignore"))
  sds <- as.data.frame(VarCorr(fit))
  sd <- function(name) sds$sdcor[sds$grp == name]
  data.frame(table = of$table[1], mean = fixef(fit)[[1]], standard_error = sqrt(vcov(fit)[1, 1]),
             patient = sd("patient"), replicate = sd("replicate"), residual = sd("Residual"))
})
out <- do.call(rbind, rows)
out[-1] <- lapply(out[-1], format, digits = 12)
write.csv(out, "golden.csv", row.names = FALSE, quote = FALSE)
cat(R.version.string, "lme4", as.character(packageVersion("lme4")), "\n")
